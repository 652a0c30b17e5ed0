import json

with open("catalogue.json", encoding="utf-8") as file:
    catalogue = json.load(file)
print(json.dumps(catalogue, sort_keys=True, indent=1))
print(sum(item["price"] * item["stock"] for item in catalogue["items"]))
