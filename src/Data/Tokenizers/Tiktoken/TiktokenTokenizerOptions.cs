using System.ComponentModel;

namespace Trainer.Data;

/// <summary>The tokenizer of GPT-2 or of one of OpenAI's models, whose vocabulary comes with Microsoft.ML.Tokenizers.</summary>
/// <remarks>Cut, merged and saved as a <see cref="PipelineTokenizer"/>: the library's own encoder sees halves of characters beyond the
/// Basic Multilingual Plane, loses special tokens once its cache is full, and takes quadratic time in long words.</remarks>
[Description("The tokenizer of GPT-2 or of one of OpenAI's models: nothing is learned or downloaded. Needs a model with as many embeddings: 50,257 to 200,019.")]
public sealed record TiktokenTokenizerOptions : TokenizerOptions
{
    /// <summary>Which one.</summary>
    [Description("gpt2, r50k_base = GPT-2 and 3, 50,257 tokens; cl100k_base = GPT-3.5 and 4, 100,277; o200k_base = GPT-4o, 200,019.")]
    public required TiktokenEncoding Encoding { get; init; }

    /// <inheritdoc/>
    public override TokenizerTrainer CreateTrainer() => new ReadyTrainer(PipelineTokenizer.Parse(TiktokenVocabulary.Of(Encoding).ToJson(), "the vocabulary"));
}
