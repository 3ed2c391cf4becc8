namespace Trainer.Data;

/// <summary>Learns the byte-level byte-pair encoding of a text.</summary>
internal sealed class BpeTrainer(BpeTokenizerOptions options, int threads = -1) : TokenizerTrainer
{
    private readonly WordCounter words = new(options.Pattern.Scanner(), threads: threads);

    /// <inheritdoc/>
    public override void Observe(ReadOnlySpan<char> text) => words.Observe(text);

    /// <summary>What was learned, without the tokenizer made of it.</summary>
    public BpeVocabulary Learn() => MergeLearner.Learn(words.Finish(), options.SpecialTokens, options.VocabularySize, options.MinimumFrequency);

    /// <inheritdoc/>
    public override Tokenizer Build() => PipelineTokenizer.Parse(Learn().ToJson(options.Pattern), "the learned tokenizer");
}
