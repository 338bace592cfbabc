/* A stand-in for Cambricon's cnrt.h: the part of it that the shim uses, written from how public
 * programs call it. Values of enumerations are its own. */
#ifndef TESTS_MAGICMIND_CNRT_H
#define TESTS_MAGICMIND_CNRT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { cnrtSuccess = 0, cnrtErrorArgsInvalid = 1, cnrtErrorNoDevice = 2 } cnrtRet_t;
typedef enum { cnrtMemcpyHostToDev = 1, cnrtMemcpyDevToHost = 2 } cnrtMemTransDir_t;
typedef struct cnrtQueueSt *cnrtQueue_t;

cnrtRet_t cnrtGetDeviceCount(unsigned int *count);
cnrtRet_t cnrtSetDevice(int device);
cnrtRet_t cnrtQueueCreate(cnrtQueue_t *queue);
cnrtRet_t cnrtQueueDestroy(cnrtQueue_t queue);
cnrtRet_t cnrtQueueSync(cnrtQueue_t queue);
cnrtRet_t cnrtMalloc(void **memory, size_t n_bytes);
cnrtRet_t cnrtFree(void *memory);
cnrtRet_t cnrtMemcpy(void *to, void *from, size_t n_bytes, cnrtMemTransDir_t direction);
const char *cnrtGetErrorStr(cnrtRet_t result);

#ifdef __cplusplus
}
#endif

#endif
