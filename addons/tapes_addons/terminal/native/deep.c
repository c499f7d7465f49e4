#include "tapes-sh.h"
int deep_install(void) { return -1; }
int deep_send(int line, int listener) { (void)line; (void)listener; return -1; }
int deep_receive(int line) { (void)line; return -1; }
void deep_serve(int listener, struct report *r) { (void)listener; (void)r; }
