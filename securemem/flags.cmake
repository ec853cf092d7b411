# Flags for the project's own targets. What a packager chooses (optimisation, debug
# information, warnings as errors) is left to the cache; what protects is not.
include(CheckCCompilerFlag)

add_library(securemem_flags INTERFACE)
target_compile_features(securemem_flags INTERFACE c_std_11)
target_compile_definitions(securemem_flags INTERFACE _GNU_SOURCE)

function(securemem_use_flags)
  foreach(flag IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "SECUREMEM_HAS${flag}" known)
    check_c_compiler_flag("-Werror ${flag}" ${known})
    if(${known})
      target_compile_options(securemem_flags INTERFACE ${flag})
    endif()
  endforeach()
endfunction()

securemem_use_flags(
  -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wcast-qual
  -Wformat=2 -Wimplicit-fallthrough -Wstrict-prototypes -Wmissing-prototypes
  -Wundef -Wvla -Wwrite-strings
)
if(SECUREMEM_WERROR)
  securemem_use_flags(-Werror)
endif()

# OpenSSF, Compiler Options Hardening Guide for C and C++.
securemem_use_flags(
  -fstack-protector-strong -fstack-clash-protection -fcf-protection=full
  -ftrivial-auto-var-init=zero -fzero-call-used-regs=used-gpr
  -fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing
)
if(SECUREMEM_SANITIZE)
  target_compile_options(securemem_flags INTERFACE
    -fsanitize=${SECUREMEM_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
  )
  target_link_options(securemem_flags INTERFACE -fsanitize=${SECUREMEM_SANITIZE})
elseif(CMAKE_BUILD_TYPE MATCHES "^(Release|RelWithDebInfo|MinSizeRel)$")
  target_compile_options(securemem_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
target_link_options(securemem_flags INTERFACE
  -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack -Wl,--as-needed
)
if(SECUREMEM_SCRATCH_THREADS)
  target_compile_definitions(securemem_flags INTERFACE SMEM_SCRATCH_THREADS)
endif()
