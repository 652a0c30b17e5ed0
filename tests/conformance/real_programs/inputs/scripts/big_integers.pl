use Math::BigInt;
print Math::BigInt->new(2)->bpow(200)->bsub(1), "\n";
