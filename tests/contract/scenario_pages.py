"""
What Scenario's pages say that its requests and answers hold, copied by hand from the pages and from nothing of ours.

The pages are those of ``POST /models``, ``PUT /models/{modelId}``, ``PUT /models/{modelId}/train`` and ``POST
/models/{modelId}/train/action``, as they were in 2026. A line is a field, and after ``=`` the values that the page
lists for it. ``[]`` is an item of a list, ``*`` any key. What only the vendor's SDK 2.4.0 has is apart.

Left out is one thing: what is inside ``job.metadata.flow``, the nodes of a workflow, which no training has.
"""

from __future__ import annotations

from textwrap import dedent


def table(text: str) -> dict[str, tuple[str, ...]]:
    lines = (line.partition("=") for line in dedent(text).strip().splitlines())
    return {name.strip(): tuple(values.split()) for name, _, values in lines}


def below(place: str, fields: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {f"{place}.{name}": values for name, values in fields.items()}


CREATE, UPDATE = "POST /models", "PUT /models/{modelId}"
TRAIN, ACTION = "PUT /models/{modelId}/train", "POST /models/{modelId}/train/action"

PARAMETERS = table(
    """
    age
    batchSize
    classPrompt
    cloneType
    conceptPrompt
    gender
    language
    learningRate
    learningRateTextEncoder
    learningRateUnet
    lrScheduler = constant constant-with-warmup cosine cosine-with-restarts linear polynomial
    maxTrainSteps
    nbEpochs
    nbRepeats
    numTextTrainSteps
    numUNetTrainSteps
    optimizeFor = likeness
    priorLossWeight
    randomCrop
    randomCropRatio
    randomCropScale
    rank
    removeBackgroundNoise
    samplePrompts
    sampleSourceImages
    scaleLr
    seed
    textEncoderTrainingRatio
    validationFrequency
    validationPrompt
    voiceDescription
    wandbKey
    """
)
_PARAMETERS = [f"body parameters.{name}" for name in PARAMETERS]
_CONCEPTS = ["body concepts", "body concepts[].modelId", "body concepts[].scale", "body concepts[].modelEpoch"]

REQUESTS: dict[str, list[str]] = {
    CREATE: [
        *("query originalAssets", "body baseModelId", "body classSlug", "body collectionIds", *_CONCEPTS),
        *("body name", "body shortDescription", "body type"),
    ],
    UPDATE: [
        *("path modelId", "query originalAssets", "body classSlug", *_CONCEPTS, "body epoch", "body name"),
        *("body negativePromptEmbedding", "body parameters", *_PARAMETERS, "body promptEmbedding"),
        *("body shortDescription", "body thumbnail", "body type"),
    ],
    TRAIN: [
        *("path modelId", "query dryRun", "query originalAssets", "query trainingImagesCount"),
        *("body parameters", *_PARAMETERS),
    ],
    ACTION: ["path modelId", "query originalAssets", "body action"],
}

TYPES = """
    custom elevenlabs-voice flux.1 flux.1-composition flux.1-kontext-dev flux.1-kontext-lora flux.1-krea-dev
    flux.1-krea-lora flux.1-lora flux.1-pro flux.1.1-pro-ultra flux.2-dev-edit-lora flux.2-dev-lora
    flux.2-klein-4b-edit-lora flux.2-klein-4b-lora flux.2-klein-9b-edit-lora flux.2-klein-9b-lora
    flux.2-klein-base-4b-edit-lora flux.2-klein-base-4b-lora flux.2-klein-base-9b-edit-lora flux.2-klein-base-9b-lora
    flux1.1-pro gpt-image-1 qwen-image-2512-lora qwen-image-edit-2509-lora qwen-image-edit-2511-lora
    qwen-image-edit-lora qwen-image-lora sd-1_5 sd-1_5-composition sd-1_5-lora sd-xl sd-xl-composition sd-xl-lora
    zimage-de-turbo-lora zimage-lora zimage-turbo-lora
"""
CAPABILITIES = """
    3d23d audio2audio audio2video controlnet controlnet_img2img controlnet_inpaint controlnet_inpaint_ip_adapter
    controlnet_ip_adapter controlnet_reference controlnet_texture img23d img2img img2img_ip_adapter img2img_texture
    img2txt img2video inpaint inpaint_ip_adapter outpaint reference reference_texture txt23d txt2audio txt2img
    txt2img_ip_adapter txt2img_texture txt2txt txt2video video23d video2audio video2img video2video
"""
_INPUT = table(
    """
    name
    type = boolean file file_array inputs_array model model_array number number_array string string_array
    allowedValues
    backgroundBehavior = opaque transparent
    color
    costImpact
    default
    description
    group
    hint
    inputs
    kind = 3d audio document image image-hdr json video
    label
    maskFrom
    max
    maxLength
    maxSize
    min
    minLength
    modelTypes
    parent
    placeholder
    prompt
    promptSpark
    required
    required.always
    required.conditionalValues
    required.ifDefined
    required.ifNotDefined
    step
    """
)
_VARIANT = table(
    """
    capability
    computedAt
    variantKey
    arenaScore
    arenaScore.arenaCategory
    arenaScore.arenaModelName
    arenaScore.fetchedAt
    arenaScore.rank
    arenaScore.rating
    arenaScore.ratingLower
    arenaScore.ratingUpper
    arenaScore.votes
    costPerAssetMaxCU
    costPerAssetMinCU
    costPerAssetP50CU
    inferenceLatencyP50Sec
    inferenceLatencyP75Sec
    resolution
    totalLatencyP50Sec
    totalLatencyP75Sec
    """
)
_UI_CONFIG = table(
    """
    inputProperties
    inputProperties.*.collapsed
    lorasComponent
    lorasComponent.label
    lorasComponent.modelInput
    lorasComponent.scaleInput
    lorasComponent.modelIdInput
    presets
    presets[].fields
    presets[].presets
    resolutionComponent
    resolutionComponent.heightInput
    resolutionComponent.label
    resolutionComponent.presets
    resolutionComponent.presets[].height
    resolutionComponent.presets[].label
    resolutionComponent.presets[].width
    resolutionComponent.widthInput
    selects
    triggerGenerate
    triggerGenerate.label
    triggerGenerate.after
    triggerGenerate.position = bottom top
    """
)
MODEL = {
    **table(
        f"""
    id
    capabilities = {" ".join(CAPABILITIES.split())}
    collectionIds
    createdAt
    custom
    exampleAssetIds
    privacy = private public unlisted
    source = civitai huggingface other scenario
    status = copying failed new trained training training-canceled
    tags
    trainingImagesNumber
    type = {" ".join(TYPES.split())}
    updatedAt
    accessRestrictions = 0 25 50 75 100
    authorId
    class
    class.category
    class.conceptPrompt
    class.modelId
    class.name
    class.prompt
    class.slug
    class.status = published unpublished
    class.thumbnails
    compliantModelIds
    concepts
    concepts[].modelId
    concepts[].scale
    concepts[].modelEpoch
    epoch
    epochs
    epochs[].epoch
    epochs[].assets
    epochs[].assets[].assetId
    epochs[].assets[].url
    inputs
    modelKeyword
    name
    negativePromptEmbedding
    ownerId
    parameters
    parentModelId
    performanceStats
    performanceStats.variants
    performanceStats.default
    promptEmbedding
    shortDescription
    softDeletionOn
    thumbnail
    thumbnail.assetId
    thumbnail.url
    trainingImagePairs
    trainingImagePairs[].instruction
    trainingImagePairs[].sourceId
    trainingImagePairs[].targetId
    trainingImages
    trainingImages[].id
    trainingImages[].automaticCaptioning
    trainingImages[].createdAt
    trainingImages[].description
    trainingImages[].downloadUrl
    trainingImages[].name
    trainingProgress
    trainingProgress.stage = pending pending-captcha queued-for-train running-train starting-train
    trainingProgress.updatedAt
    trainingProgress.position
    trainingProgress.progress
    trainingProgress.remainingTimeMs
    trainingProgress.startedAt
    trainingStats
    trainingStats.endedAt
    trainingStats.queueDuration
    trainingStats.startedAt
    trainingStats.trainDuration
    uiConfig
    userId
    """
    ),
    **below("inputs[]", _INPUT),
    **below("parameters", PARAMETERS),
    **below("performanceStats.variants[]", _VARIANT),
    **below("uiConfig", _UI_CONFIG),
}
JOB = table(
    """
    createdAt
    jobId
    jobType = assets-download canvas-export caption caption-llava custom describe-style detection embed flux flux-model-training generate-prompt image-generation image-prompt-editing inference mesh-preview-rendering model-download model-import model-training musubi-model-training openai-image-generation patch-image pixelate reframe remove-background repaint restyle segment skybox-3d skybox-base-360 skybox-hdri skybox-upscale-360 texture translate upload upscale upscale-skybox upscale-texture vectorize workflow
    metadata
    metadata.assetIds
    metadata.error
    metadata.flow
    metadata.hint
    metadata.input
    metadata.output
    metadata.outputModelId
    metadata.workflowId
    metadata.workflowJobId
    progress
    status = canceled failure finalizing in-progress pending queued success warming-up
    statusHistory
    statusHistory[].date
    statusHistory[].status = canceled failure finalizing in-progress pending queued success warming-up
    updatedAt
    authorId
    billing
    billing.cuCost
    billing.cuDiscount
    ownerId
    """  # noqa: E501
)
STARTED = table(
    """
    job
    model
    creativeUnitsCost
    creativeUnitsDiscount
    """
)
"""The answer of a launch, around the job and the model."""

NEWER = table(
    """
    trainingProgress.stage = ready-for-captcha
    trainingProgress.captchaImageUrl
    trainingProgress.retryableError
    trainingProgress.retryCount
    """
)
"""Of the model, in the SDK only."""

OVERRIDDEN = table(
    """
    model capabilities
    model privacy = unlisted
    model source = civitai huggingface other
    model accessRestrictions = 25 75 100
    model class.status = unpublished
    model inputs[].backgroundBehavior = transparent
    model inputs[].kind = 3d audio document image-hdr json video
    model uiConfig.triggerGenerate.position = top
    job jobType
    job metadata.flow
    job metadata.output
    job metadata.workflowId
    job metadata.workflowJobId
    """
)
"""What no training comes to by itself, neither here nor there: it is shown once a switch (an override) says so."""
