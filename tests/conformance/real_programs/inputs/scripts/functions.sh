descend() {
    [ $1 -lt 2 ] && result=$1 && return
    descend $(($1 - 1))
}
descend 5
case $result in
    1) echo one ;;
    *) echo other ;;
esac
trap 'echo bye' EXIT
exit 7
