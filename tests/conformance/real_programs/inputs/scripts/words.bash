declare -A count
while read -r line; do
    for word in ${line//[^[:alpha:] ]/}; do (( count[${word,,}]++ )); done
done < voyage.txt
for word in the and he was; do printf '%s=%d ' "$word" "${count[$word]}"; done; echo
[[ "2024-02-29" =~ ^([0-9]+)-([0-9]+) ]] && echo "${BASH_REMATCH[@]:1}"
