#ifndef TERN_SERVER_CALL_EXTRAS_H_
#define TERN_SERVER_CALL_EXTRAS_H_

#include "tern/lib/call/metadata.h"

namespace tern {

// What travels with few calls. A call has one when something is in it.
struct CallExtras {
  Metadata response_metadata;
};

}  // namespace tern

#endif  // TERN_SERVER_CALL_EXTRAS_H_
