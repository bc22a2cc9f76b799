"""Stand-in for the file of this name in rules_shell."""

sh_binary = native.sh_binary
