"""Other people's programs, made to look like ours: reading a file, calling its functions, translating conventions."""
