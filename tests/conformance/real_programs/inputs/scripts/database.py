import csv
import sqlite3

connection = sqlite3.connect(":memory:")
connection.execute("create table weather(station, month int, rain real, temperature real)")
with open("weather.csv", newline="") as file:
    connection.executemany("insert into weather values (?, ?, ?, ?)", list(csv.reader(file))[1:])
query = "select station, sum(rain), avg(temperature) from weather group by station"
for row in connection.execute(query):
    print(*row)
