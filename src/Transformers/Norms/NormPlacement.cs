using System.Text.Json.Serialization;

namespace Trainer.Transformers.Norms;

/// <summary>Where in a block the norms stand.</summary>
/// <remarks>A new placement is its own <see cref="Block"/> and a line in <see cref="Block.Create"/>.</remarks>
[JsonConverter(typeof(JsonStringEnumConverter<NormPlacement>))]
public enum NormPlacement
{
    /// <summary>x + branch(norm(x)), with one norm after the last block (GPT-2, Llama).</summary>
    [JsonStringEnumMemberName("pre")]
    Pre,
}
