namespace Trainer.Checkpoints.HuggingFace;

/// <summary>Settings of a <c>config.json</c> on which a model's results do not depend.</summary>
internal static class Unused
{
    /// <summary>Of every family: bookkeeping, training, generation, other tasks.</summary>
    public static ReadOnlySpan<string> Everywhere => Keys;

    private static readonly string[] Keys =
    [
        "architectures", "model_type", "_name_or_path", "name_or_path", "transformers_version", "dtype", "torch_dtype", "auto_map", "use_cache", "vocab_size",
        "_attn_implementation", "_attn_implementation_internal", "_experts_implementation", "return_dict", "output_attentions", "output_hidden_states", "torchscript",
        "chunk_size_feed_forward", "problem_type", "finetuning_task", "id2label", "label2id", "num_labels", "tokenizer_class", "use_bfloat16", "pruned_heads",
        "initializer_range", "initializer_factor", "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "mask_token_id",
        "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id", "prefix", "task_specific_params", "suppress_tokens", "begin_suppress_tokens",
        "max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty", "temperature", "top_k", "top_p", "typical_p",
        "repetition_penalty", "length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "output_scores",
        "return_dict_in_generate", "remove_invalid_values", "exponential_decay_length_penalty", "tf_legacy_loss", "gradient_checkpointing", "unsloth_version",
        "attention_dropout", "hidden_dropout", "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "classifier_dropout_prob",
        "pretraining_tp", "is_encoder_decoder", "is_decoder", "cross_attention_hidden_size", "tie_encoder_decoder",
    ];
}
