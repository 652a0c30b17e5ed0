printf "%.15g %e %s %b\n", 2**0.5, 1e100 / 3, 1e15 + 0.3, 1234567;
print unpack('H*', pack('NnCdw', 1, 2, 3, 1.5, 300)), "\n";
my @sorted = sort { $a <=> $b } <STDIN>;
print @sorted[0 .. 4], $#sorted, "\n";
