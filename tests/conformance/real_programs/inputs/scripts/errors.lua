print(pcall(function() return nil + 1 end))
print(select(2, pcall(error, {code = 7})).code)
