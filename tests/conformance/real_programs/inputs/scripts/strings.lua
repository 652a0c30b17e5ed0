print((io.read("a"):gsub("(%a+), (%a+)", "%2 %1")))
