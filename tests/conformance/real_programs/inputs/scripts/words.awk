{ for (i = 1; i <= NF; i++) count[tolower($i)]++ }
END {
    PROCINFO["sorted_in"] = "@ind_str_asc"
    for (word in count) if (count[word] > 1) print word, count[word]
}
