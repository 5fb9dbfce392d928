#ifndef TERN_TESTS_FUZZ_SESSION_FUZZER_H_
#define TERN_TESTS_FUZZ_SESSION_FUZZER_H_

#include <string_view>

namespace tern::testing {

// Feeds a session with whatever `input` holds, and aborts when it breaks a
// promise: one end for each call, nothing sent that is no frame, nothing left
// behind.
//
// The first byte says who listens: bit 0 a client (with three calls), else a
// server (with a host that echoes); bit 1 CHECKSUM announced; bit 2 a host that
// takes and answers nothing; bits 3 to 7 into pieces of which size the rest is
// cut, 0 being one piece. The rest is what the peer sends, in which the four
// bytes "\xfeT" and a number in big endian let so many milliseconds pass.
void FuzzSession(std::string_view input);

}  // namespace tern::testing

#endif  // TERN_TESTS_FUZZ_SESSION_FUZZER_H_
