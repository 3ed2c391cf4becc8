# Finds libtorch in the folder LIBTORCH (a variable or the environment; else /usr, /usr/local) and defines
#
#   Torch::Torch           headers, flags and libraries in one target
#   Torch_VERSION          e.g. 2.6.0
#   Torch_LIBRARY_DIR      the folder of libtorch_cpu.so
#   Torch_CUDA_FOUND       whether this libtorch was built with CUDA (its libraries are then in Torch::Torch)
#   Torch_OPENMP_LIBRARY   the OpenMP runtime bundled with this libtorch, empty where it uses the system's
#
# This replaces the TorchConfig.cmake that libtorch brings, on purpose: that one demands a whole CUDA toolkit with nvcc
# for every CUDA build, although code without kernels of its own needs only the headers; and it prints pages of warnings
# about optional parts. One way to link serves Debian's packages, the unpacked archive and a pip-installed torch.

set(_torch_version_headers
  torch/headeronly/version.h                # 2.9 and newer
  torch/csrc/api/include/torch/version.h)
set(_torch_roots "${LIBTORCH}")
if(NOT LIBTORCH)
  set(_torch_roots "$ENV{LIBTORCH}")
  if(NOT _torch_roots)
    set(_torch_roots /usr /usr/local)
  endif()
endif()

find_path(Torch_INCLUDE_DIR torch/csrc/api/include/torch/version.h
  PATHS ${_torch_roots} PATH_SUFFIXES include NO_DEFAULT_PATH)
find_library(Torch_cpu_LIBRARY torch_cpu
  PATHS ${_torch_roots} PATH_SUFFIXES lib "lib/${CMAKE_LIBRARY_ARCHITECTURE}" lib64 NO_DEFAULT_PATH)

if(Torch_INCLUDE_DIR AND Torch_cpu_LIBRARY)
  get_filename_component(Torch_LIBRARY_DIR "${Torch_cpu_LIBRARY}" DIRECTORY)
  get_filename_component(_torch_root "${Torch_INCLUDE_DIR}" DIRECTORY)

  foreach(_header IN LISTS _torch_version_headers)
    if(NOT Torch_VERSION AND EXISTS "${Torch_INCLUDE_DIR}/${_header}")
      file(STRINGS "${Torch_INCLUDE_DIR}/${_header}" _lines REGEX "^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
      string(REGEX REPLACE "[^0-9;]" "" _numbers "${_lines}")
      string(REPLACE ";" "." Torch_VERSION "${_numbers}")
    endif()
  endforeach()

  foreach(_name IN ITEMS c10 torch torch_cuda c10_cuda)
    find_library(Torch_${_name}_LIBRARY ${_name} PATHS "${Torch_LIBRARY_DIR}" NO_DEFAULT_PATH)
  endforeach()
  if(Torch_torch_cuda_LIBRARY AND Torch_c10_cuda_LIBRARY)
    set(Torch_CUDA_FOUND TRUE)
  endif()

  # The archive and the Python package bring their own libgomp, under a mangled name.
  file(GLOB Torch_OPENMP_LIBRARY "${Torch_LIBRARY_DIR}/libgomp*.so*" "${_torch_root}/../torch.libs/libgomp*.so*")
  if(Torch_LIBRARY_DIR IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
    set(Torch_OPENMP_LIBRARY "")            # Debian's package: that libgomp is the system's
  elseif(Torch_OPENMP_LIBRARY)
    list(GET Torch_OPENMP_LIBRARY 0 Torch_OPENMP_LIBRARY)
  endif()
endif()

string(REPLACE ";" ", " _torch_places "${_torch_roots}")
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Torch
  REQUIRED_VARS Torch_cpu_LIBRARY Torch_c10_LIBRARY Torch_torch_LIBRARY Torch_INCLUDE_DIR
  VERSION_VAR Torch_VERSION
  REASON_FAILURE_MESSAGE "Run ./setup.sh, or set LIBTORCH to an unpacked libtorch 2.6 or newer (looked in: ${_torch_places}).")

if(Torch_CUDA_FOUND)
  # c10/cuda includes cuda_runtime_api.h. A toolkit has it, and so do the nvidia packages beside a pip-installed torch.
  file(GLOB _torch_nvidia_includes "${_torch_root}/../nvidia/*/include")
  find_path(Torch_CUDA_INCLUDE_DIR cuda_runtime_api.h
    PATHS ${_torch_nvidia_includes} "${Torch_INCLUDE_DIR}" "$ENV{CUDA_HOME}/include" "$ENV{CUDA_PATH}/include" /usr/local/cuda/include /usr/include)
  if(NOT Torch_CUDA_INCLUDE_DIR)
    message(FATAL_ERROR "libtorch in ${_torch_root} is built with CUDA, but CUDA's header cuda_runtime_api.h was not found. "
      "Install the CUDA runtime's headers, or set CUDA_HOME to the toolkit, or use a libtorch without CUDA.")
  endif()
endif()

if(Torch_FOUND AND NOT TARGET Torch::Torch)
  add_library(Torch::Torch INTERFACE IMPORTED)
  target_include_directories(Torch::Torch SYSTEM INTERFACE
    "${Torch_INCLUDE_DIR}" "${Torch_INCLUDE_DIR}/torch/csrc/api/include"
    ${Torch_CUDA_INCLUDE_DIR} ${_torch_nvidia_includes})

  # std::string has two layouts in libstdc++; ours must be libtorch's. Only its own configuration says which.
  file(GLOB _torch_config "${_torch_root}/share/cmake/Torch/TorchConfig.cmake" "${Torch_LIBRARY_DIR}/cmake/Torch/TorchConfig.cmake")
  if(_torch_config)
    file(STRINGS "${_torch_config}" _abi REGEX "_GLIBCXX_USE_CXX11_ABI=[01]")
    string(REGEX MATCH "_GLIBCXX_USE_CXX11_ABI=[01]" _abi "${_abi}")
    if(_abi)
      target_compile_definitions(Torch::Torch INTERFACE "${_abi}")
    endif()
  endif()

  # The back ends register themselves when they are loaded, so each must stay in the list of needed libraries even
  # though nothing of ours refers to it by name.
  target_link_libraries(Torch::Torch INTERFACE
    -Wl,--push-state,--no-as-needed
    "${Torch_torch_LIBRARY}" "${Torch_cpu_LIBRARY}" "${Torch_c10_LIBRARY}"
    $<$<BOOL:${Torch_CUDA_FOUND}>:${Torch_torch_cuda_LIBRARY}>
    $<$<BOOL:${Torch_CUDA_FOUND}>:${Torch_c10_cuda_LIBRARY}>
    -Wl,--pop-state)
endif()
mark_as_advanced(Torch_INCLUDE_DIR Torch_cpu_LIBRARY Torch_c10_LIBRARY Torch_torch_LIBRARY
  Torch_torch_cuda_LIBRARY Torch_c10_cuda_LIBRARY Torch_CUDA_INCLUDE_DIR)
