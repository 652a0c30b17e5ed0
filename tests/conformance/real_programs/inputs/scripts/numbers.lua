for i = 1, 5 do
    print(i / 3, i // 3, i ^ 0.5, 1 << i * 7, string.format("%a", i / 10))
end
