namespace Trainer.Data;

/// <summary>The trainer of a tokenizer that is known beforehand: nothing is learned.</summary>
internal sealed class ReadyTrainer(Tokenizer tokenizer) : TokenizerTrainer
{
    public override void Observe(ReadOnlySpan<char> text) { }

    public override Tokenizer Build() => tokenizer;
}
