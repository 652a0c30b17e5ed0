my @multiply = map { my $n = $_; sub { $n *= shift } } 1 .. 5;
print join(',', map { $_->(3) } @multiply), "\n";
