local squares = coroutine.wrap(function() for i = 1, 4 do coroutine.yield(i * i) end end)
print(squares(), squares(), squares(), squares())
