/* The part of the C library's <string.h> that kernels have (platforms/runtime), and declarations
   that libc++'s <cstring> names but nobody may call: using one fails at link. */

#ifndef BATON_LIBCXX_C_STRING_H_
#define BATON_LIBCXX_C_STRING_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In platforms/runtime. */
void* memchr(const void* s, int c, size_t n);
int memcmp(const void* a, const void* b, size_t n);
void* memcpy(void* __restrict to, const void* __restrict from, size_t n);
void* memmove(void* to, const void* from, size_t n);
void* memset(void* to, int c, size_t n);
char* strchr(const char* s, int c);
int strcmp(const char* a, const char* b);
size_t strlen(const char* s);
int strncmp(const char* a, const char* b, size_t n);

/* Declared only. */
char* strcat(char* to, const char* from);
int strcoll(const char* a, const char* b);
char* strcpy(char* to, const char* from);
size_t strcspn(const char* s, const char* reject);
char* strerror(int error);
char* strncat(char* to, const char* from, size_t n);
char* strncpy(char* to, const char* from, size_t n);
char* strpbrk(const char* s, const char* accept);
char* strrchr(const char* s, int c);
size_t strspn(const char* s, const char* accept);
char* strstr(const char* s, const char* needle);
char* strtok(char* s, const char* separators);
size_t strxfrm(char* to, const char* from, size_t n);

#ifdef __cplusplus
}
#endif

#endif /* BATON_LIBCXX_C_STRING_H_ */
