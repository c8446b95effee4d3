# The parts of worker_model around the transformer: VAE, text encoder, tokenizer.
target_sources(cogwheel_worker_model PRIVATE ${CMAKE_CURRENT_LIST_DIR}/image_input.cc
  ${CMAKE_CURRENT_LIST_DIR}/lanczos.cc ${CMAKE_CURRENT_LIST_DIR}/text_encoder.cc
  ${CMAKE_CURRENT_LIST_DIR}/vae.cc ${CMAKE_CURRENT_LIST_DIR}/vae_coders.cc
  ${CMAKE_CURRENT_LIST_DIR}/vae_layers.cc ${CMAKE_CURRENT_LIST_DIR}/vae_tiling.cc)

# SentencePiece's header declares absl::string_view as its own: no abseil in this target.
find_library(SENTENCEPIECE_ARCHIVE libsentencepiece.a PATHS ${COGWHEEL_DEPS}/lib REQUIRED NO_DEFAULT_PATH)
cogwheel_library(worker_model_tokenizer SOURCES tokenizer.cc
  PUBLIC cogwheel::worker_model_files PRIVATE ${SENTENCEPIECE_ARCHIVE} protobuf::libprotobuf)
target_include_directories(cogwheel_worker_model_tokenizer SYSTEM PRIVATE ${COGWHEEL_DEPS}/include)
