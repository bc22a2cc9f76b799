"""Stand-in for the file of this name in rules_shell."""

sh_library = native.sh_library
