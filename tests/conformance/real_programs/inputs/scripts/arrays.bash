numbers=({1..20})
echo ${numbers[@]:3:5} ${#numbers[@]} ${numbers[-1]}
printf -v padded '%03d' 7
echo $padded {a..c}{1,2}
