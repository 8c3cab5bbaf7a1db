/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A CUDA driver without a GPU: memory is the machine's, launches are told on stderr and do
 * nothing. What it does not have is not found. From the environment: FAKE_BYTES of memory,
 * FAKE_MAJOR compute capability, FAKE_NONE for a driver that finds no GPU.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, NOT_FOUND = 500 };
typedef unsigned U;

static char context[8];
static __thread void *stack[64];
static __thread int depth;
static size_t used;
static int pid, largest_shared = 48 * 1024;

static size_t number(const char *name, size_t otherwise) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

int getpid(void);
int cuInit(U flags) { pid = getpid(); return getenv("FAKE_NONE") ? NO_DEVICE : OK; }
int cuDriverGetVersion(int *v) { *v = 13000; return OK; }
int cuDeviceGetCount(int *n) { *n = 1; return OK; }
int cuDeviceGet(int *device, int i) { *device = i; return OK; }
int cuDeviceGetName(char *name, int n, int d) { strncpy(name, "Fake GPU", n); return OK; }
int cuDeviceGetUuid(char *uuid, int d) { memset(uuid, 1, 16); return OK; }
int cuDeviceGetAttribute(int *v, int attribute, int d) {
    switch (attribute) {
    case 16: *v = 132; break;                    /* multiprocessors */
    case 75: *v = number("FAKE_MAJOR", 9); break; /* compute capability */
    case 76: *v = 0; break;
    case 97: *v = 232448; break;                 /* shared memory of a block, at most */
    default: *v = 1;
    }
    return OK;
}
int cuDevicePrimaryCtxRetain(void **c, int d) { *c = context; return OK; }
int cuDevicePrimaryCtxRelease(int d) { return OK; }
int cuCtxGetCurrent(void **c) {
    *c = depth ? stack[depth - 1] : NULL;
    return pid == getpid() ? OK : NOT_INITIALIZED;
}
int cuCtxSetCurrent(void *c) { depth += !depth; stack[depth - 1] = c; return OK; }
int cuCtxPushCurrent(void *c) { stack[depth++] = c; return OK; }
int cuCtxPopCurrent(void **c) { *c = stack[--depth]; return OK; }
int cuCtxGetDevice(int *d) { *d = 0; return OK; }
int cuCtxSynchronize(void) { fprintf(stderr, "wait\n"); return OK; }

int cuMemGetInfo(size_t *free, size_t *total) {
    *total = number("FAKE_BYTES", 1 << 30);
    *free = *total - used;
    return OK;
}
int cuMemAlloc(uint64_t *p, size_t n) {
    size_t *block;
    if (used + n > number("FAKE_BYTES", 1 << 30)) return OUT_OF_MEMORY;
    block = malloc(n + 16);
    used += block[0] = n;
    *p = (uint64_t)(block + 2);
    return OK;
}
int cuMemFree(uint64_t p) {
    size_t *block = (size_t *)p - 2;
    used -= block[0];
    free(block);
    return OK;
}
int cuMemcpyHtoD(uint64_t to, const void *from, size_t n) {
    memcpy((void *)to, from, n);
    return OK;
}
int cuMemcpyDtoH(void *to, uint64_t from, size_t n) {
    memcpy(to, (void *)from, n);
    return OK;
}
int cuStreamCreate(void **s, U flags) { *s = malloc(8); return flags == 1 ? OK : 1; }
int cuStreamSynchronize(void *s) { return OK; }
int cuStreamGetCtx(void *s, void **c) { *c = context; return OK; }
int cuLibraryLoadData(void **l, const void *c, void *a, void *b, U n, void *d, void *e, U m) {
    *l = malloc(8);
    return OK;
}
int cuLibraryUnload(void *l) { return OK; }
int cuLibraryGetKernel(void **k, void *l, const char *name) { *k = malloc(8); return OK; }
int cuKernelGetFunction(void **f, void *k) { *f = k; return OK; }
int cuKernelGetAttribute(int *v, int attribute, void *k, int d) { *v = 0; return OK; }
int cuKernelSetAttribute(int attribute, int v, void *k, int d) {
    if (attribute == 8) largest_shared = v;
    return OK;
}
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, void *f, int team, size_t shared) {
    *n = 233472 / (shared + 1024) < 2 ? 1 : 2; /* registers for no more */
    return OK;
}
struct launch { U grid[3], block[3], shared; void *stream, *attributes; U n; };
int cuLaunchKernelEx(const struct launch *l, void *f, void **arguments, void **extra) {
    fprintf(stderr, "launch %u x %u, %u bytes, %s stream, %u attributes\n", l->grid[0],
            l->block[0], l->shared, l->stream ? "own" : "default", l->n);
    return (int)l->shared > largest_shared; /* cudaErrorInvalidValue */
}
int cuGetErrorName(int error, const char **name) { *name = "CUDA_ERROR"; return OK; }
int cuGetErrorString(int error, const char **text) { *text = "an error"; return OK; }
int cuGetProcAddress_v2(const char *name, void **p, int version, uint64_t flags, int *s) {
    Dl_info own;
    dladdr((void *)cuInit, &own);
    *p = dlsym(dlopen(own.dli_fname, RTLD_LAZY | RTLD_NOLOAD), name);
    if (s) *s = !*p;
    return *p ? OK : NOT_FOUND;
}
