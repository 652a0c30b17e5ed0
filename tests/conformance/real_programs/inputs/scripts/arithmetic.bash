for ((i = 0, x = 1; i < 1000; i++)); do ((x = (x * 48271) % 2147483647)); done
echo $x
