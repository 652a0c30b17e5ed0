import re

with open("voyage.txt") as file:
    text = file.read()
print(re.findall(r"\b(\w+?)(ed|ing)\b", text))
print(re.sub(r"(?i)the (\w+)", lambda match: match[1].upper(), text))
