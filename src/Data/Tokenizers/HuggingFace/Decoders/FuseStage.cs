namespace Trainer.Data.HuggingFace;

/// <summary>Makes all tokens one.</summary>
internal sealed class FuseStage : DecoderStage
{
    private bool started;

    public override void Push(string text, bool begins)
    {
        Next.Push(text, begins: !started);
        started = true;
    }

    public override void Flush()
    {
        started = false;
        base.Flush();
    }
}
