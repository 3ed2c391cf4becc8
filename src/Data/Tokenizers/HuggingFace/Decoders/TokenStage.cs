namespace Trainer.Data.HuggingFace;

/// <summary>Rewrites each token on its own, knowing whether it is the first one.</summary>
internal sealed class TokenStage(Func<string, bool, string> rewrite) : DecoderStage
{
    private bool started;

    public override void Push(string text, bool begins)
    {
        Next.Push(rewrite(text, !started), begins);
        started = true;
    }

    public override void Flush()
    {
        started = false;
        base.Flush();
    }
}
