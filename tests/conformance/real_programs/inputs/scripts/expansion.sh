path=/usr/lib/libc.so.6
echo ${path##*/} ${path%/*} ${#path} ${unset:-none} $((0x1f % 7))
