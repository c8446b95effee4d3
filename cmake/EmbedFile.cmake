# cmake -DINPUT=file -DOUTPUT=file.cc -DSYMBOL=kName -P EmbedFile.cmake: the file's bytes as kName[] and kNameSize.
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "extern const unsigned char ${SYMBOL}[];\nextern const unsigned long ${SYMBOL}Size;\n"
  "const unsigned char ${SYMBOL}[] = {\n${bytes}};\nconst unsigned long ${SYMBOL}Size = sizeof(${SYMBOL});\n")
