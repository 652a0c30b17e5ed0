BEGIN { for (i = 1; i < 9; i++) printf "%.12f %.12f %d\n", sin(i), exp(i / 3), i ^ 9 }
