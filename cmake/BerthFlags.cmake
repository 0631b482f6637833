# The compiler flags that every target of berth shares.
add_library(berth_flags INTERFACE)
target_include_directories(berth_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_definitions(berth_flags INTERFACE _GNU_SOURCE BERTH_VERSION="${PROJECT_VERSION}")
target_compile_options(berth_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wold-style-cast -Wsuggest-override -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>  # GCC 12 misreads std::string's operator+ (its bug 105651)
  $<$<BOOL:${BERTH_WERROR}>:-Werror>
  # The first is for ccache. GCC 12 misreads std::string's insides where its header is precompiled (its bug 105329 and its kin).
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<BOOL:${BERTH_PCH}>>:-fpch-preprocess;-Wno-stringop-overflow;-Wno-stringop-overread>)

# Most of berth waits for the kernel: its programs start the faster the smaller they are (-Os halves what -O2 makes of the
# rooms on the start-up path). Rooms that compute say so (berth_room's FAST). -O3 gains nothing that bench/ can see.
set(CMAKE_CXX_FLAGS_RELEASE "-Os -DNDEBUG")
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(berth_flags INTERFACE -ffunction-sections -fdata-sections -D_FORTIFY_SOURCE=2
    -fstack-protector-strong)
  target_link_options(berth_flags INTERFACE -Wl,--gc-sections -Wl,-z,relro,-z,now)
endif()
if(BERTH_SANITIZE)
  target_compile_options(berth_flags INTERFACE -fsanitize=${BERTH_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(berth_flags INTERFACE -fsanitize=${BERTH_SANITIZE})
endif()
if(BERTH_FUZZ)  # the fuzzer steers by what it reaches in the libraries
  target_compile_options(berth_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(BERTH_COVERAGE)
  target_compile_options(berth_flags INTERFACE --coverage)
  target_link_options(berth_flags INTERFACE --coverage)
endif()
