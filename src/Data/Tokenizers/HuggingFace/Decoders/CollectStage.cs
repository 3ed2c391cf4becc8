using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>The last stage: all text, put together.</summary>
internal sealed class CollectStage : DecoderStage
{
    private readonly StringBuilder text = new();

    public override void Push(string text, bool begins) => this.text.Append(text);

    public override void Flush() { }

    /// <summary>The text since the last call.</summary>
    public string Take()
    {
        var result = text.ToString();
        text.Clear();
        return result;
    }
}
