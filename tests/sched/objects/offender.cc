// Has both: a mutable global and a static constructor. Shows that the test would find them.

extern "C" int somewhere();

int constructed = somewhere();
int counted = 5;
