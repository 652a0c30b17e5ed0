n=0
while IFS=, read -r station month rain temperature; do
    n=$((n + 1))
    echo "$n:$month:$station"
done < weather.csv
