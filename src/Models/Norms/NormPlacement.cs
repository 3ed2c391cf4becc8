using System.Text.Json.Serialization;

namespace Trainer.Models.Norms;

/// <summary>Where in a block the norms stand.</summary>
/// <remarks>What each does is written in <see cref="Block"/>.</remarks>
[JsonConverter(typeof(JsonStringEnumConverter<NormPlacement>))]
public enum NormPlacement
{
    /// <summary>x + branch(norm(x)), with one norm after the last block (GPT-2, Llama).</summary>
    [JsonStringEnumMemberName("pre")]
    Pre,

    /// <summary>norm(x + branch(x)), none after the last block (Vaswani et al. 2017, BERT).</summary>
    [JsonStringEnumMemberName("post")]
    Post,

    /// <summary>x + norm(branch(norm(x))), with one norm after the last block (Gemma 2).</summary>
    [JsonStringEnumMemberName("sandwich")]
    Sandwich,
}
