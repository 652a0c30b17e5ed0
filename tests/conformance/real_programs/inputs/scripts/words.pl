while (<>) {
    $count{lc $1}++ while /(\w*(?:ea|ai)\w*)/g;
}
print map { "$_ $count{$_}\n" } sort keys %count;
