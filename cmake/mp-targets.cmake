# The targets, from mp_include_dirs, mp_shared_library and mp_static_library.
#   mp::mp         the one that BUILD_SHARED_LIBS asks for: shared unless it is off
#   mp::mp_shared  libmp.so
#   mp::mp_static  libmp.a, with what it needs of the system
#   mp::cxx        mp::mp for C++17 programs that include mp.hpp

if(TARGET mp::mp)
    return()
endif()

add_library(mp::mp_shared SHARED IMPORTED GLOBAL)
set_target_properties(mp::mp_shared PROPERTIES
    IMPORTED_LOCATION "${mp_shared_library}"
    IMPORTED_SONAME libmp.so.0
    INTERFACE_INCLUDE_DIRECTORIES "${mp_include_dirs}")

# The list that `cargo rustc --release -- --print native-static-libs` gives.
add_library(mp::mp_static STATIC IMPORTED GLOBAL)
set_target_properties(mp::mp_static PROPERTIES
    IMPORTED_LOCATION "${mp_static_library}"
    IMPORTED_LINK_INTERFACE_LANGUAGES C
    INTERFACE_INCLUDE_DIRECTORIES "${mp_include_dirs}"
    INTERFACE_LINK_LIBRARIES "gcc_s;util;rt;Threads::Threads;m;dl;c")

add_library(mp::mp INTERFACE IMPORTED GLOBAL)
if(DEFINED BUILD_SHARED_LIBS AND NOT BUILD_SHARED_LIBS)
    set_target_properties(mp::mp PROPERTIES INTERFACE_LINK_LIBRARIES mp::mp_static)
else()
    set_target_properties(mp::mp PROPERTIES INTERFACE_LINK_LIBRARIES mp::mp_shared)
endif()

add_library(mp::cxx INTERFACE IMPORTED GLOBAL)
set_target_properties(mp::cxx PROPERTIES
    INTERFACE_LINK_LIBRARIES mp::mp
    INTERFACE_COMPILE_FEATURES cxx_std_17)
