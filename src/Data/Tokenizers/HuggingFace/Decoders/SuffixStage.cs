namespace Trainer.Data.HuggingFace;

/// <summary>BPEDecoder: the suffix that ends words becomes a space, and nothing at the end of the sequence.</summary>
internal sealed class SuffixStage(string suffix) : DecoderStage
{
    private string? held;

    public override void Push(string text, bool begins)
    {
        Release(" ");
        held = text;
    }

    public override void Flush()
    {
        Release("");
        held = null;
        base.Flush();
    }

    private void Release(string space)
    {
        if (held is not null)
            Next.Push(suffix.Length == 0 ? held : held.Replace(suffix, space, StringComparison.Ordinal), begins: true);
    }
}
