local values = {}
for i = 1, 500 do values[i] = i * 7919 % 1009 end
table.sort(values)
print(table.concat(values, " ", 1, 20))
