#ifndef REIMAGE_SYSTEM_H
#define REIMAGE_SYSTEM_H
#endif
