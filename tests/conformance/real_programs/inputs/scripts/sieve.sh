limit=200 n=2
while [ $n -le $limit ]; do
    eval "composite=\$c$n"
    if [ -z "$composite" ]; then
        echo $n; m=$((n * n))
        while [ $m -le $limit ]; do eval "c$m=1"; m=$((m + n)); done
    fi
    n=$((n + 1))
done
