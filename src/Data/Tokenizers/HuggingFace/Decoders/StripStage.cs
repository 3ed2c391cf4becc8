namespace Trainer.Data.HuggingFace;

/// <summary>Strip at the start: up to a number of certain characters, off the front of each token.</summary>
internal sealed class StripStage(char content, int most) : DecoderStage
{
    private int left;

    public override void Push(string text, bool begins)
    {
        if (begins)
            left = most;
        var cut = 0;
        while (left > 0 && cut < text.Length)
        {
            if (text[cut] != content)
            {
                left = 0;
                break;
            }
            cut++;
            left--;
        }
        Next.Push(text[cut..], begins);
    }
}
