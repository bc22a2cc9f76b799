"""Stand-in for the file of this name in rules_shell."""

sh_test = native.sh_test
