/* What Node lacks: sockets of every kind, descriptors over them, sealed memory, readiness of any descriptor. No policy. */
#include "addon.h"

NAPI_MODULE_INIT() {
    bool ok = register_descriptors(env, exports) && register_messages(env, exports) && register_sockets(env, exports) &&
              register_watches(env, exports) && register_diagnoses(env, exports) && register_held_sockets(env, exports);
    return ok ? exports : NULL;
}
