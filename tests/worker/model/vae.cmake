cogwheel_test(vae_test LEVEL unit TORCH SOURCES vae_test.cc
  LIBRARIES cogwheel::worker_model cogwheel::worker_media cogwheel::tests_checkpoint)
cogwheel_test(text_test LEVEL unit TORCH SOURCES text_test.cc
  LIBRARIES cogwheel::worker_model cogwheel::worker_model_tokenizer cogwheel::tests_checkpoint)
